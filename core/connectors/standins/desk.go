package standins

import "tenure/core/connector/connectortest"

func desk(s *connectortest.Server) {}
