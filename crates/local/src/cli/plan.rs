//! The plan of where each input's renditions are written, made before any work is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tintype_model::Recipe;

use super::input::Input;

/// One input and the folder of its renditions.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The input.
    pub(crate) input: Input,
    /// The folder that its renditions are written to.
    pub(crate) folder: PathBuf,
}

/// The reason why the outputs cannot all be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    /// Two inputs would write to one place.
    #[error("{} and {} would both write to {}: give them different --out folders", .0.display(), .1.display(), .2.display())]
    Collision(PathBuf, PathBuf, PathBuf),
    /// A file, perhaps the input itself, has the path of a needed folder.
    #[error("the output of {} needs a folder at {}, which is a file: choose another --out folder", .0.display(), .1.display())]
    Occupied(PathBuf, PathBuf),
}

/// The paths of the output tree, each with the input that needs it.
#[derive(Default)]
struct Claims<'a> {
    /// Folders of inputs' renditions.
    folders: BTreeMap<PathBuf, &'a Path>,
    /// The folders of inputs' renditions, and every folder above them.
    above: BTreeMap<PathBuf, &'a Path>,
    /// Renditions.
    files: BTreeMap<PathBuf, &'a Path>,
}

/// Gives every input its folder; a file that was named twice is one input.
///
/// # Errors
/// When two inputs would write to the same path, or one input's folder would have to be another's file.
pub(crate) fn plan(inputs: Vec<Input>, out: &Path, recipe: &Recipe) -> Result<Vec<Job>, PlanError> {
    let mut same = BTreeSet::new();
    let jobs: Vec<Job> = inputs
        .into_iter()
        .filter(|input| {
            let identity = input.path.canonicalize().unwrap_or_else(|_| input.path.clone());
            same.insert((identity, input.name.clone()))
        })
        .map(|input| Job {
            folder: out.join(&input.name),
            input,
        })
        .collect();
    let mut claims = Claims::default();
    for job in &jobs {
        claims.add(job, out, recipe)?;
    }
    Ok(jobs)
}

impl<'a> Claims<'a> {
    fn add(&mut self, job: &'a Job, out: &Path, recipe: &Recipe) -> Result<(), PlanError> {
        let owner = job.input.path.as_path();
        let collision = |other: &Path, path: &Path| {
            PlanError::Collision(other.to_path_buf(), owner.to_path_buf(), path.to_path_buf())
        };
        for path in job.folder.ancestors() {
            if path.starts_with(out) && fs::metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
                return Err(PlanError::Occupied(owner.to_path_buf(), path.to_path_buf()));
            }
            if let Some(other) = self.files.get(path) {
                return Err(collision(other, path));
            }
            self.above.entry(path.to_path_buf()).or_insert(owner);
        }
        if let Some(other) = self.folders.insert(job.folder.clone(), owner) {
            return Err(collision(other, &job.folder));
        }
        for variant in &recipe.variants {
            for &format in &variant.formats {
                let file = job.folder.join(file_name(&variant.name, format));
                if let Some(other) = self.above.get(&file) {
                    return Err(collision(other, &file));
                }
                self.files.insert(file, owner);
            }
        }
        Ok(())
    }
}

/// The name of a rendition's file.
pub(crate) fn file_name(variant: &str, format: tintype_model::Format) -> String {
    format!("{variant}.{}", format.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(inputs: &[(&str, &str)]) -> Result<Vec<String>, PlanError> {
        let inputs = inputs
            .iter()
            .map(|(path, name)| Input {
                path: path.into(),
                name: name.into(),
            })
            .collect();
        let jobs = plan(inputs, Path::new("no-such-out"), &Recipe::default())?;
        Ok(jobs
            .iter()
            .map(|job| job.folder.to_str().unwrap().to_owned())
            .collect())
    }

    fn collision_of(first: (&str, &str), second: (&str, &str)) -> (PathBuf, PathBuf) {
        match folders(&[first, second]) {
            Err(PlanError::Collision(one, other, _)) => (one, other),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_input_has_a_folder_of_its_own() {
        assert_eq!(
            folders(&[
                ("x/a.jpg", "a.jpg"),
                ("y/b.jpg", "sub/b.jpg"),
                ("y/c.jpg", "sub/c.jpg")
            ])
            .unwrap(),
            [
                "no-such-out/a.jpg",
                "no-such-out/sub/b.jpg",
                "no-such-out/sub/c.jpg"
            ]
        );
        assert_eq!(
            folders(&[("a.jpg", "a.jpg"), ("a.jpg", "a.jpg")]).unwrap().len(),
            1
        );
    }

    #[test]
    fn collisions_name_both_inputs() {
        let expected = (PathBuf::from("x/a.jpg"), PathBuf::from("y/a.jpg"));
        assert_eq!(collision_of(("x/a.jpg", "a.jpg"), ("y/a.jpg", "a.jpg")), expected);
        // One input's rendition lies where another's folder has to be, in both orders.
        collision_of(("x/a", "a"), ("y/a/medium.webp", "a/medium.webp"));
        collision_of(("y/a/medium.webp", "a/medium.webp"), ("x/a", "a"));
    }

    #[test]
    fn a_folder_within_an_inputs_folder_is_no_collision() {
        assert_eq!(
            folders(&[("x/a", "a"), ("y/a/b.jpg", "a/b.jpg")]).unwrap().len(),
            2
        );
    }

    #[test]
    fn an_input_is_never_in_the_way_of_its_own_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        fs::write(&path, "x").unwrap();
        let input = Input {
            path: path.clone(),
            name: "a.jpg".into(),
        };
        let error = plan(vec![input], folder.path(), &Recipe::default()).unwrap_err();
        assert_eq!(error, PlanError::Occupied(path.clone(), path.clone()));
        let input = Input {
            path: path.clone(),
            name: "b.jpg".into(),
        };
        let error = plan(vec![input], &path, &Recipe::default()).unwrap_err();
        assert_eq!(error, PlanError::Occupied(path.clone(), path), "--out is a file");
    }
}
