-- Made when all rows are in. NULL takes no part in `packages_provides`' searches.
CREATE INDEX packages_name ON packages(name);
CREATE INDEX packages_family ON packages(family);
CREATE INDEX packages_provides ON packages(provides);
