//! Where a resource lies and what is there.

use dockmaster_proto::resource::Ensure;

use super::{
    Context, Mode,
    fault::Fault,
    place::{Found, Place, PlaceError},
};

/// Where a resource lies and what is there.
#[derive(Debug)]
pub(super) struct Spot {
    place: Result<Place, PlaceError>,
    /// The path, with all links on the way that a dry run foresees followed.
    pub path: String,
    /// What is there.
    pub found: Found,
}

impl Spot {
    /// Looks at the place of a resource. Where its folder is missing nothing is there, which is as it
    /// should be for what has to be absent, and for what a dry run finds below a folder to come.
    ///
    /// # Errors
    /// [`Fault`], such as for a folder that is missing and that nothing makes.
    pub(super) fn of(context: &Context<'_>, title: &str, ensure: Ensure) -> Result<Self, Fault> {
        let path = match context.mode {
            Mode::Apply => title.to_owned(),
            Mode::Noop => foreseen(context, title),
        };
        match Place::open(context.root, &path) {
            Ok(place) => {
                let found = place
                    .look()
                    .map_err(|errno| Fault::kernel("look at", &place.path(), errno))?;
                Ok(Self {
                    place: Ok(place),
                    path,
                    found,
                })
            }
            Err(error @ PlaceError::NoParent(_))
                if ensure == Ensure::Absent || to_come(context, &path) =>
            {
                Ok(Self {
                    place: Err(error),
                    path,
                    found: Found::Nothing,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The place, where there is one.
    #[must_use]
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref().ok()
    }

    /// The place, to change something there.
    ///
    /// # Errors
    /// [`Fault::Place`] when its folder is missing.
    pub(super) fn into_place(self) -> Result<Place, Fault> {
        Ok(self.place?)
    }
}

fn to_come(context: &Context<'_>, path: &str) -> bool {
    let parent = path.rsplit_once('/').map(|(parent, _)| parent);
    parent.is_some_and(|parent| context.foreseen.has_directory(parent))
}

/// The path by which a resource would be reached after all that a dry run went through.
fn foreseen(context: &Context<'_>, title: &str) -> String {
    let existing = |path: &str| match Place::open(context.root, path).ok()?.look() {
        Ok(Found::Symlink(target)) => Some(target),
        _ => None,
    };
    let resolved = || {
        Place::check(title).ok()?;
        let (parent, name) = title.rsplit_once('/')?;
        let parent = context.foreseen.resolve(parent, existing)?;
        Some(format!("{}/{name}", parent.trim_end_matches('/')))
    };
    // What leads nowhere is told when it is opened.
    resolved().unwrap_or_else(|| title.to_owned())
}
