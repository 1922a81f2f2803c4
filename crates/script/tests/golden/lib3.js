var fine = 1;
undefinedThing.x = 2;
