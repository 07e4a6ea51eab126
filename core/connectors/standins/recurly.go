package standins

import "tenure/core/connector/connectortest"

func recurly(s *connectortest.Server) {}
