SELECT resolver, sha256, until_ms, pause_ms, failures, because FROM suspension ORDER BY resolver
