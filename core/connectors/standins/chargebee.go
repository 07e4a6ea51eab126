package standins

import "tenure/core/connector/connectortest"

func chargebee(s *connectortest.Server) {}
