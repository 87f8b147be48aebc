//! Places to fetch from that are loaded from files: good ones, bad ones, and what they may not do.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test lays out its own folders")]

mod bad;
mod examples;
mod files;
mod oci;
mod push;
mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packets_tests::{Output, Package, Server, TestEnvironment, on_path, skip, workspace};

/// A root with a config of its own that may name plugins.
struct Scene {
    environment: TestEnvironment,
    config: PathBuf,
    compiler: PathBuf,
}

impl Scene {
    /// None where the machine has no C compiler.
    fn new() -> Option<Self> {
        let Some(compiler) = on_path("cc") else {
            skip("needs cc");
            return None;
        };
        Some(Self::with(compiler))
    }

    fn with(compiler: PathBuf) -> Self {
        let environment = TestEnvironment::new();
        let config = environment.place().join("config.toml");
        environment.prime();
        let scene = Self { environment, config, compiler };
        scene.write_config("");
        scene
    }

    fn dir(&self) -> PathBuf {
        self.environment.place().join("plugins")
    }

    fn write_config(&self, more: &str) {
        let text = format!("# A comment that stays.\n[Plugins]\ndir = {:?}\n{more}", self.dir().to_str().unwrap());
        fs::write(&self.config, text).unwrap();
    }

    fn config(&self) -> String {
        fs::read_to_string(&self.config).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.environment.run(&[&["--config", self.config.to_str().unwrap()], arguments].concat())
    }

    /// Compiles a plugin from C; its library, a `plugin.toml` of this name beside it.
    fn compile(&self, source: &Path, name: &str, flags: &[&str]) -> PathBuf {
        let folder = self.environment.place().join("build");
        fs::create_dir_all(&folder).unwrap();
        let library = folder.join("plugin.so");
        let mut command = Command::new(&self.compiler);
        command.args(["-std=gnu11", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Wno-unused-result", "-o"]);
        command.arg(&library).args(flags).arg("-I").arg(workspace().join("plugin-api/include")).arg(source);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(folder.join("plugin.toml"), format!("name = \"{name}\"\nkind = \"fetch\"\nabi = \"1.0\"\n")).unwrap();
        library
    }

    /// The plugin that does what its locations say.
    fn bad(&self, flags: &[&str]) -> PathBuf {
        self.compile(&workspace().join("tests/plugins/bad.c"), "bad", flags)
    }

    fn add(&self, library: &Path) -> Output {
        self.run(&["plugin", "add", library.to_str().unwrap()])
    }

    /// Installs a package that an index has at these addresses.
    fn install_from(&self, addresses: &[&str]) -> Output {
        let index = self.index_at(addresses);
        self.run(&["--repo", index.to_str().unwrap(), "install", "tool"])
    }

    fn index_at(&self, addresses: &[&str]) -> PathBuf {
        let repo = self.environment.repo();
        Package::program("tool", "1").file(&repo);
        let mut arguments = vec!["index", repo.to_str().unwrap()];
        for address in addresses {
            arguments.extend(["--url", address]);
        }
        self.environment.run_plain(&arguments).ok();
        repo.join("index.db")
    }

    /// A server of the repository's files.
    fn server(&self) -> Server {
        let server = Server::start();
        Package::program("tool", "1").file(&self.environment.repo());
        server.serve(&self.environment.repo());
        server
    }
}
