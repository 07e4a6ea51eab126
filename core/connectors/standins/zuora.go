package standins

import "tenure/core/connector/connectortest"

func zuora(s *connectortest.Server) {}
