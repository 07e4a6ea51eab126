package standins

import "tenure/core/connector/connectortest"

func infusionsoft(s *connectortest.Server) {}
