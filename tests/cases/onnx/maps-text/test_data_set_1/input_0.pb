2Bonn2
never seenBa