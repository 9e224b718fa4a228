//! The pages that the figures go to.

use std::fs;
use std::path::Path;

use super::process::versions;

/// Each has places for some of the parts.
const PAGES: [&str; 2] = ["docs/benchmarks.md", "README.md"];

/// The lines of one part. Each is printed as it comes; all of them go to the pages at the end.
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

    /// Puts the lines where the pages have had those of an earlier run: between `<!-- PART -->` and `<!-- end -->`.
    pub fn write(mut self) {
        self.line("");
        self.line(versions());
        let (begin, end) = (format!("<!-- {} -->\n", self.part), "<!-- end -->");
        let lines = self.lines.join("\n");
        for page in PAGES {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
            let text = fs::read_to_string(&path).unwrap();
            let Some((before, rest)) = text.split_once(&begin) else {
                continue;
            };
            let (_, after) = rest.split_once(end).unwrap();
            let text = format!("{before}{begin}```text\n{lines}\n```\n{end}{after}");
            fs::write(&path, text).unwrap();
        }
    }
}
