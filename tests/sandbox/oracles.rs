//! What a hook may not learn: whether a path is there that nobody granted.

use packets_tests::{Package, TestEnvironment};

#[test]
fn h23_what_is_there_and_what_is_not_look_the_same() {
    TestEnvironment::with_and_without_openat2(|environment| {
        environment.put("usr/bin/other", "x");
        environment.put("srv/there/file", "x");
        std::os::unix::fs::symlink("loop", environment.at("srv/loop")).unwrap();
        let hook = "local base = '../../../../'
            for _, pair in ipairs{
                {'/srv/there/file/x', '/srv/there/none/x'},
                {'/srv/there/../../usr/bin/other', '/srv/none/../../usr/bin/other'},
                {'/srv/loop/x', '/srv/none/x'},
                {'/srv/loop', '/srv/none'},
            } do
                for _, mode in ipairs{'r', 'w', 'r+'} do
                    local said = {}
                    for at, path in ipairs(pair) do
                        local link = path_join(data_dir, 'link')
                        os.remove(link)
                        assert(os.symlink(base .. path:sub(2), link))
                        for _, text in ipairs{path, link} do
                            local file, why = io.open(text, mode)
                            said[#said + 1] = file and 'opened' or why:match(': ([^:]*)$')
                        end
                    end
                    print(mode, pair[1], said[1] == said[3] and said[2] == said[4] and 'same' or table.concat(said, ' | '))
                end
            end";
        let folder = Package::new("tool", "1").install(hook).write(&environment.work());
        let output = environment.run(&["hook", "test", folder.to_str().unwrap()]).fails(6);
        let said: Vec<&str> =
            output.stderr.lines().filter(|line| line.contains("/srv/") && line.contains("tool: ")).collect();
        assert!(said.len() == 12 && said.iter().all(|line| line.ends_with("same")), "{output}");
    });
}
