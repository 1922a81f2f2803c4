//! Tools of the house: the source tree as `tests/tidy.rs` looks at it, and training.

pub mod callee_type;

use std::path::{Path, PathBuf};

/// A file of the source tree.
#[derive(Debug)]
pub struct SourceFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// Lines before the unit tests at the bottom.
    pub fn code_lines(&self) -> usize {
        let tests = self.text.lines().position(|line| line.trim() == "#[cfg(test)]");
        tests.unwrap_or_else(|| self.text.lines().count())
    }

    /// Whether the whole file is tests, or an example.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs"
            || name.ends_with("_tests.rs")
            || ["/tests/", "/examples/", "/benches/"].iter().any(|dir| self.path.contains(dir))
    }
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("xtask lies in the workspace").to_owned()
}

/// All files with one of these endings, without build output and hidden directories, sorted.
pub fn files(endings: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, endings, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, dir: &Path, endings: &[&str], found: &mut Vec<SourceFile>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending))
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let path =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            found.push(SourceFile { path, text });
        }
    }
}
