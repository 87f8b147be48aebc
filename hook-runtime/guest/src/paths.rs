//! `path_join`.

/// Joins as Go's `filepath.Join` does on Unix: leading empty elements are
/// dropped, the rest is joined by slashes and cleaned; nothing gives "".
pub fn join(elements: &[Vec<u8>]) -> Vec<u8> {
    match elements.iter().position(|element| !element.is_empty()) {
        Some(first) => clean(&elements[first..].join(&b'/')),
        None => Vec::new(),
    }
}

/// Go's `filepath.Clean`: no `.`, no doubled or trailing slash, `..` taken
/// together with what stands before it; above a root it is dropped. "" gives ".".
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
