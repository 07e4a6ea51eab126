package standins

import "tenure/core/connector/connectortest"

func salesforce(s *connectortest.Server) {}
