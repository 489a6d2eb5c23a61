-- billing.letters does what these did; a row of a job that is no more would stay as its last run left it.
DELETE FROM due_jobs WHERE name IN ('billing.dunning_notices', 'billing.documents', 'billing.top_up_letters');
