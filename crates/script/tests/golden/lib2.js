var late = 'late';
