//! The path of a value in a config: the keys that lead to it.

use std::fmt;

/// The keys and indexes that lead from the top of a config to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Path(Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// The value of a mapping's key.
    Key(String),
    /// The entry of a list, counted from 0.
    Index(usize),
}

impl Path {
    /// The path of the value below these keys.
    pub(super) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|k| Step::Key((*k).to_owned())).collect())
    }

    /// The path of the value of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// The path of an entry of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// This path, one step on.
    pub(super) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The steps, from the top.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is `other`, or a value somewhere in it.
    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    /// Writes `stacks.deals.colors[0]`; a key that would be misread is quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    let plain = !key.is_empty()
                        && key.chars().all(|c| {
                            c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | '/' | '<')
                        });
                    if plain {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_in_the_documentation() {
        let path = Path::of(&["stacks", "my.stack", "colors"]).index(1);
        assert_eq!(path.to_string(), "stacks.\"my.stack\".colors[1]");
        assert!(path.is_in(&Path::of(&["stacks"])) && path.is_in(&path));
        assert!(!path.is_in(&Path::of(&["stack"])));
    }
}
