"""What the suites of deploy/ and helm/ share: the Helm engine, schemas, servers, and how a suite is run."""
