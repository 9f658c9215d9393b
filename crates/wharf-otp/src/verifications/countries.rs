//! Where codes may go: to the countries that are configured, and to those of the workspace's own sessions (OTP-13).

use wharf_model::{Phone, WorkspaceId};

use super::Verifications;
use crate::country::{Countries, Country};
use crate::error::OtpError;
use crate::telemetry;

impl Verifications {
    /// The phone's country, if codes may go there. One that is not known is none of those that are named.
    pub(super) async fn allowed_country(
        &self,
        workspace: WorkspaceId,
        phone: &Phone,
    ) -> Result<Option<Country>, OtpError> {
        let country = Country::of(phone);
        let Countries::OwnAnd(others) = &self.cx.config.countries else {
            return Ok(country);
        };
        let allowed = match country {
            Some(known) => others.contains(&known) || self.is_own_country(workspace, known).await?,
            None => false,
        };
        if !allowed {
            telemetry::blocked("country_not_allowed");
            return Err(OtpError::CountryNotAllowed(country));
        }
        Ok(country)
    }

    async fn is_own_country(&self, workspace: WorkspaceId, country: Country) -> Result<bool, OtpError> {
        let cx = &self.cx;
        let look = async {
            let phones = cx.sessions.linked_phones(workspace).await.map_err(OtpError::Storage)?;
            let mut countries: Vec<Country> = phones.iter().filter_map(Country::of).collect();
            countries.sort_unstable();
            countries.dedup();
            Ok::<_, OtpError>(countries)
        };
        cx.own_countries.has((workspace, country), &*cx.clock, look).await
    }
}
