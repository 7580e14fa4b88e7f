SELECT resolver, count(*) FROM attempt WHERE outcome = 'accepted' GROUP BY 1 ORDER BY 2 DESC, 1
