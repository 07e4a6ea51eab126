package standins

import "tenure/core/connector/connectortest"

func freshdesk(s *connectortest.Server) {}
