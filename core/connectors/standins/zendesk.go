package standins

import "tenure/core/connector/connectortest"

func zendesk(s *connectortest.Server) {}
