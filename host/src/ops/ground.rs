//! What a transaction that runs no hooks is carried out on.

use super::context::Context;
use crate::commit::{About, Area, Ground};
use crate::error::Result;

/// Stages a transaction and gives the ground on which it is carried out.
pub(super) fn on_ground<T>(
    context: &Context,
    about: &About,
    carry_out: impl FnOnce(&Ground<'_>) -> Result<T>,
) -> Result<T> {
    let data = context.target.enter_or_make(&context.data, 0o755)?;
    let area = Area::make(&context.target, &context.state()?, &data, about.clone())?;
    carry_out(&Ground {
        root: context.target.root(),
        record_folder: context.record_folder(),
        record_copy: &context.copy_of_record()?,
        area: &area,
    })
}
