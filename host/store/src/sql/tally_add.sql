UPDATE tally SET jobs = jobs + ?2 WHERE state = ?1
