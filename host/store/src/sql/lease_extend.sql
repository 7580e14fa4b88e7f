UPDATE lease SET until_ms = ?3 WHERE id = ?1 AND token = ?2
