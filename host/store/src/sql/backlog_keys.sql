SELECT key, ready, delayed FROM backlog WHERE ready > 0 OR delayed > 0
