//! The plugin's own tables of the config.

use packets_plugin_api::native::Settings;

use crate::client::{Account, Client, Options};
use crate::place::{Repository, is_this_machine};
use crate::source::OciSource;

const KEYS: [&str; 5] = ["registry", "repository", "plain", "user", "realm"];
const PASSWORD: &str = "password";

/// The source that a config asks for.
pub(crate) fn make(settings: &Settings) -> Result<OciSource, String> {
    parts(settings).map(|(client, repository)| OciSource::new(client, repository))
}

/// What a config asks for: who speaks to registries, and the one that the config names.
pub(crate) fn parts(settings: &Settings) -> Result<(Client, Option<Repository>), String> {
    for (key, _) in &settings.values {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("its config has a key {key:?}; it knows {}", KEYS.join(", ")));
        }
    }
    if let Some((name, _)) = settings.secrets.iter().find(|(name, _)| name != PASSWORD) {
        return Err(format!("its secrets have a name {name:?}; it knows {PASSWORD}"));
    }
    let repository = repository(settings)?;
    let account = account(settings, repository.as_ref())?;
    Ok((Client::new(Options::new(&settings.user_agent), account), repository))
}

fn repository(settings: &Settings) -> Result<Option<Repository>, String> {
    let plain = match settings.value("plain") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err("plain in its config is true or false".to_owned()),
    };
    match (settings.value("registry"), settings.value("repository")) {
        (Some(host), Some(name)) => Repository::new(host, name, plain).map(Some),
        (None, None) => Ok(None),
        _ => Err("registry and repository stand in its config together".to_owned()),
    }
}

fn account(settings: &Settings, repository: Option<&Repository>) -> Result<Option<Account>, String> {
    let (user, password) = match (settings.value("user"), settings.secret(PASSWORD)) {
        (Some(user), Some(password)) => (user, password),
        (None, None) => return Ok(None),
        _ => return Err("user in its config and password in its secrets stand together".to_owned()),
    };
    let repository = repository.ok_or("a password without a registry that it is for")?;
    if user.contains(':') || [user, password].iter().any(|text| text.contains(char::is_control)) {
        return Err("its user has a colon, or its user or password a control character".to_owned());
    }
    let registry = repository.registry();
    if registry.scheme() == "http" && !is_this_machine(registry) {
        return Err("a password is not sent without TLS, but to an address of this machine".to_owned());
    }
    let account = Account::new(registry, user, password);
    match settings.value("realm") {
        Some(realm) => account.with_realm(realm).map(Some),
        None => Ok(Some(account)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)], secrets: &[(&str, &str)]) -> Settings {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Settings { values: owned(values), secrets: owned(secrets), ..Settings::default() }
    }

    #[test]
    fn what_makes_a_source() {
        let (host, name) = (("registry", "r.example"), ("repository", "team/packages"));
        let (user, password) = (("user", "reader"), ("password", "hush"));
        assert!(make(&settings(&[], &[])).is_ok());
        assert!(make(&settings(&[host, name], &[])).is_ok());
        let made = make(&settings(&[host, name, user], &[password])).unwrap();
        assert!(!format!("{made:?}").contains("hush"), "{made:?}");
        assert!(make(&settings(&[host, name, user, ("realm", "https://auth.example/token")], &[password])).is_ok());
        let local = [("registry", "127.0.0.1:5000"), name, user, ("plain", "true")];
        assert!(make(&settings(&local, &[password])).is_ok());
        for (values, secrets, part) in [
            (&[host][..], &[][..], "together"),
            (&[name], &[], "together"),
            (&[host, name, user], &[], "together"),
            (&[host, name], &[password], "together"),
            (&[user], &[password], "without a registry"),
            (&[host, name, ("Registry", "x")], &[], "Registry"),
            (&[host, name], &[("token", "x")], "token"),
            (&[host, name, ("plain", "yes")], &[], "true or false"),
            (&[host, name, user, ("plain", "true")], &[password], "without TLS"),
            (&[host, name, user, ("realm", "http://auth.example/")], &[password], "TLS"),
            (&[host, name, user, ("realm", "auth.example")], &[password], "realm"),
            (&[host, name, ("user", "a:b")], &[password], "colon"),
            (&[("registry", "u:p@r.example"), name], &[], "no host"),
        ] {
            let problem = make(&settings(values, secrets)).unwrap_err();
            assert!(problem.contains(part) && !problem.contains("hush"), "{part}: {problem}");
        }
    }
}
