DELETE FROM backlog WHERE ready = 0 AND delayed = 0
