-- From `user_version` 3 to 4. What a package brought lies below its folder, and is found by that: a third of the file
-- was the look-up of those paths. `made_by` says `data elsewhere` where it lies somewhere else.
UPDATE files SET made_by = 'data elsewhere' WHERE made_by = 'data' AND NOT EXISTS (
  SELECT 1 FROM package_details d WHERE d.id = files.package
  AND (d.folder IN ('', files.path) OR substr(files.path, 1, length(d.folder) + 1) = d.folder || '/'));
DROP INDEX files_by_path;
CREATE INDEX files_by_path ON files(path) WHERE made_by <> 'data';
CREATE INDEX packages_by_folder ON package_details(folder);
