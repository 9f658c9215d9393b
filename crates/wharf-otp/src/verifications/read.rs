//! Reading verifications.

use wharf_model::{Phone, VerificationId, VerificationStatus, WorkspaceId};
use wharf_storage::verifications::{self as rows, VerificationFilter};
use wharf_storage::{Page, PageRequest, StorageError};

use super::Verifications;
use super::send::phone_index;
use crate::error::OtpError;
use crate::view::{CheckView, VerificationView};

/// Which verifications a list shows.
#[derive(Clone, Default)]
pub struct VerificationQuery {
    /// Of this phone.
    pub phone: Option<Phone>,
    /// Of this status.
    pub status: Option<VerificationStatus>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl std::fmt::Debug for VerificationQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationQuery")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Verifications {
    /// One verification with its messages and checks.
    ///
    /// # Errors
    /// [`OtpError::NotFound`], or storage failed.
    pub async fn get(&self, workspace: WorkspaceId, id: VerificationId) -> Result<VerificationView, OtpError> {
        let found = self.cx.storage.glance(move |tx| {
            Box::pin(async move {
                let Some(row) = rows::get(tx, workspace, id).await? else {
                    return Ok(None);
                };
                let sends = rows::sends(tx, workspace, id).await?;
                let checks = rows::checks(tx, workspace, id).await?;
                Ok(Some((row, sends, checks)))
            })
        });
        let (row, sends, checks) = found.await.map_err(OtpError::Storage)?.ok_or(OtpError::NotFound)?;
        let keys = self
            .cx
            .storage
            .workspace_keys(workspace)
            .await
            .map_err(OtpError::Storage)?;
        let mut view = VerificationView::new(row, &keys, self.cx.clock.now()).map_err(OtpError::Storage)?;
        view.sends = sends.into_iter().map(Into::into).collect();
        view.checks = checks
            .into_iter()
            .map(|check| CheckView {
                at: check.at,
                result: check.result,
            })
            .collect();
        Ok(view)
    }

    /// The verifications of a workspace, newest first, without their messages and checks.
    ///
    /// # Errors
    /// Storage failed, or the cursor is none of this list.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        query: VerificationQuery,
        page: PageRequest,
    ) -> Result<Page<VerificationView>, OtpError> {
        let keys = self
            .cx
            .storage
            .workspace_keys(workspace)
            .await
            .map_err(OtpError::Storage)?;
        let filter = VerificationFilter {
            phone: query.phone.map(|phone| phone_index(&keys, &phone)),
            status: query.status,
        };
        let found = self
            .cx
            .storage
            .read(move |tx| Box::pin(async move { rows::list(tx, workspace, &filter, &page).await }))
            .await
            .map_err(OtpError::Storage)?;
        let now = self.cx.clock.now();
        let rows = found.rows.into_iter();
        let views: Result<Vec<_>, StorageError> = rows.map(|row| VerificationView::new(row, &keys, now)).collect();
        Ok(Page {
            rows: views.map_err(OtpError::Storage)?,
            next: found.next,
        })
    }
}
