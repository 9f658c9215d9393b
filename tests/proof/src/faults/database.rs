//! A database server that goes away.

use anyhow::{Result, bail};

use super::scene::Scene;
use crate::drive::Database;

impl Scene {
    pub(super) async fn stop_the_database(&mut self) -> Result<()> {
        self.without_database("the database is stopped", wharf_testkit::postgres::Cluster::stop)
            .await
    }

    pub(super) async fn crash_the_database(&mut self) -> Result<()> {
        self.without_database("the database crashed", wharf_testkit::postgres::Cluster::crash)
            .await
    }

    async fn without_database(
        &mut self,
        what: &'static str,
        stop: fn(&wharf_testkit::postgres::Cluster) -> Result<(), wharf_testkit::postgres::ClusterError>,
    ) -> Result<()> {
        let began = self.begin(what);
        stop(self.cluster()?)?;
        self.not_ready(&began).await?;
        self.work_for(self.window).await?;
        self.cluster()?.start_again()?;
        self.end(began).await
    }

    fn cluster(&self) -> Result<&wharf_testkit::postgres::Cluster> {
        match &self.stage.database {
            Database::Postgres { cluster, .. } => Ok(cluster),
            Database::Sqlite => bail!("a file cannot be stopped"),
        }
    }
}
