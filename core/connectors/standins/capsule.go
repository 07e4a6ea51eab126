package standins

import "tenure/core/connector/connectortest"

func capsule(s *connectortest.Server) {}
