-- Made when all rows are in. Names are found by the table `answers`.
CREATE INDEX packages_family ON packages(family);
