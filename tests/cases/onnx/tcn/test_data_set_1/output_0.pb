BforecastJk§ÀD“?Õ1
À