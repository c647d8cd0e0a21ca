2Aachen2Köln2
never seen2Bonn2Aachen2Köln2KölnBb