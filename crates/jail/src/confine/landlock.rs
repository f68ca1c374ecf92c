//! Landlock (landlock(7)): no file, no TCP port, no signal to others.

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope};

/// The newest interface that was looked at. Older kernels enforce as much of it as they know.
const NEWEST: ABI = ABI::V6;

/// Denies everything that Landlock can deny; `false` where the kernel has no Landlock.
pub(super) fn deny_everything() -> Result<bool, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
