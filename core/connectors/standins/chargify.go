package standins

import "tenure/core/connector/connectortest"

func chargify(s *connectortest.Server) {}
