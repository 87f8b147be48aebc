//! What somebody may have meant who mistyped a name.

/// Insertions, deletions and replacements from one text to the other; more than 2 are not counted exactly.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// How many letters may differ: in a short name two letters are nearly all of it.
pub(crate) fn most(name: &str) -> usize {
    name.len().div_ceil(3).min(2)
}

/// The name that is nearest, if it is near; upper and lower case are the same.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let near = names.into_iter().map(|name| (distance(&lower, &name.to_lowercase()), name));
    near.filter(|(distance, _)| *distance <= most(wrong)).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("hello", "hallo"), 1);
        assert_eq!(distance("jq", "jqq"), 1);
        assert!(distance("abc", "xyz") > 2);
    }

    #[test]
    fn the_nearest_is_near() {
        assert_eq!(nearest("memorry", ["memory", "cpu"]), Some("memory"));
        assert_eq!(nearest("DATADIR", ["dataDir", "binDir"]), Some("dataDir"));
        assert_eq!(nearest("xy", ["cpu", "wall"]), None);
    }
}
