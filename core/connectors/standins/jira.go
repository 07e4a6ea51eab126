package standins

import "tenure/core/connector/connectortest"

func jira(s *connectortest.Server) {}
