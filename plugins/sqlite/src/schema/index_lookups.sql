-- Made when all rows are in.
CREATE INDEX packages_name ON packages(name);
CREATE INDEX packages_family ON packages(family);
