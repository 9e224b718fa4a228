//! The page that the figures go to: docs/benchmarks.md.

use std::fs;
use std::path::Path;

use super::process::versions;

const PAGE: &str = "docs/benchmarks.md";

/// The lines of one part. Each is printed as it comes; all of them go to the page at the end.
pub struct Block {
    part: &'static str,
    lines: Vec<String>,
}

impl Block {
    pub fn new(part: &'static str) -> Self {
        Self {
            part,
            lines: Vec::new(),
        }
    }

    /// One more line.
    pub fn line(&mut self, line: impl Into<String>) {
        let line = line.into().trim_end().to_owned();
        println!("{line}");
        self.lines.push(line);
    }

    /// Puts the lines where the page has had those of an earlier run: between `<!-- PART -->` and `<!-- end -->`.
    pub fn write(mut self) {
        self.line("");
        self.line(versions());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        let page = fs::read_to_string(&path).unwrap();
        let begin = format!("<!-- {} -->\n", self.part);
        let (before, rest) = page.split_once(&begin).unwrap_or_else(|| {
            panic!("{PAGE} has no place for `{}`: {begin}", self.part);
        });
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        let lines = self.lines.join("\n");
        let page = format!("{before}{begin}```text\n{lines}\n```\n<!-- end -->{after}");
        fs::write(&path, page).unwrap();
    }
}
