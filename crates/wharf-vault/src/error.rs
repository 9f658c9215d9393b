//! Why an input holds no credentials that can be looked at.

/// The input was not read. Every case has a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Nothing but white space.
    #[error("there is nothing to read")]
    Empty,
    /// The input itself is too large.
    #[error("the input is larger than {} MiB", crate::MAX_INPUT / 1024 / 1024)]
    TooLarge,
    /// What it unpacks to is too large: a bomb, or not what it seems.
    #[error("the input unpacks to more than credentials ever are")]
    UnpacksTooLarge,
    /// Nothing that is known begins like this.
    #[error(
        "this is none of the known forms: a session string, creds.json, a folder of Baileys as zip, tar or one JSON object, or a bundle"
    )]
    Unrecognised,
    /// A known form that ends too early or was changed on its way.
    #[error("the {0} is cut off or damaged; copy all of it")]
    Damaged(&'static str),
    /// A name in an archive that leads out of its folder.
    #[error("the archive holds a path that leads out of its folder")]
    UnsafePath,
    /// More files than a folder of credentials ever has.
    #[error("the archive holds too many files")]
    TooManyFiles,
    /// A known form without the file that matters.
    #[error("there is no creds.json in it")]
    NoCreds,
    /// A bundle, and nothing to open it with.
    #[error("this is a bundle; it opens with its passphrase")]
    PassphraseMissing,
    /// The seal of a bundle does not open.
    #[error("the passphrase does not open this bundle, or the bundle was changed")]
    PassphraseWrong,
    /// A bundle of a version that is not known here.
    #[error("the bundle has version {0}, which only a newer Wharf reads")]
    BundleNewer(u8),
    /// The credentials lie elsewhere.
    #[error("this names credentials that are kept {0}; what it names is not fetched without being asked for")]
    Elsewhere(Fetch),
    /// They were asked for there, and not had.
    #[error("what this names could not be fetched")]
    NotFetched,
}

impl VaultError {
    /// Every code with what it means, for the docs.
    pub const CODES: [(&'static str, &'static str); 13] = [
        ("credentials_empty", "Nothing but white space."),
        ("credentials_too_large", "The input is larger than 4 MiB."),
        (
            "credentials_unpack_too_large",
            "What it unpacks to is larger than credentials ever are.",
        ),
        (
            "credentials_unrecognised",
            "None of the known forms: a session string, creds.json, a folder of Baileys as zip, tar or one JSON object, a bundle.",
        ),
        ("credentials_damaged", "A known form that is cut off or was changed."),
        (
            "archive_unsafe_path",
            "The archive holds a path that leads out of its folder.",
        ),
        (
            "archive_too_many_files",
            "The archive holds more files than credentials ever have.",
        ),
        ("credentials_missing", "A known form without a creds.json in it."),
        (
            "credentials_elsewhere",
            "It names credentials that lie elsewhere, at MEGA or under a server's id; `fetch` was not asked for.",
        ),
        ("passphrase_missing", "A bundle opens with its passphrase."),
        (
            "passphrase_wrong",
            "The passphrase does not open the bundle, or the bundle was changed.",
        ),
        ("bundle_newer", "The bundle was written by a newer Wharf."),
        (
            "credentials_not_fetched",
            "It names credentials that lie elsewhere, and there are none there, or the name does not open them.",
        ),
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        let place = match self {
            Self::Empty => 0,
            Self::TooLarge => 1,
            Self::UnpacksTooLarge => 2,
            Self::Unrecognised => 3,
            Self::Damaged(_) => 4,
            Self::UnsafePath => 5,
            Self::TooManyFiles => 6,
            Self::NoCreds => 7,
            Self::Elsewhere(_) => 8,
            Self::PassphraseMissing => 9,
            Self::PassphraseWrong => 10,
            Self::BundleNewer(_) => 11,
            Self::NotFetched => 12,
        };
        Self::CODES[place].0
    }
}

/// Where credentials lie that an input only names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// A file at MEGA.
    Mega,
    /// A short id that only the server that made it understands.
    Id,
}

impl std::fmt::Display for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mega => "at MEGA",
            Self::Id => "by the server that made this id",
        })
    }
}
