package standins

import "tenure/core/connector/connectortest"

func xero(s *connectortest.Server) {}
