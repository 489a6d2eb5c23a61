-- Makes the partitions of any month for every partitioned table; returns how many were new. For the owner: a month long
-- past is needed only where rows were lost into a default partition (docs/runbooks/partitions.md).
CREATE FUNCTION make_any_month(month date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE t record; part text; made integer := 0;
BEGIN
    IF month <> date_trunc('month', month)::date THEN RAISE EXCEPTION 'make_month takes the first day of a month'; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_month'));
    FOR t IN SELECT table_name FROM month_partitioned ORDER BY table_name LOOP
        part := t.table_name || to_char(month, '_YYYY_MM');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, t.table_name,
                to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
            PERFORM guard_partition(t.table_name, part);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION make_any_month(date) FROM PUBLIC;

-- What the application's roles may call: this month and the next twelve. Anything else would let whoever holds such a
-- role fill the catalogue with tables, or make a month anew that was retired.
CREATE OR REPLACE FUNCTION make_month(month date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE this date := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    IF month IS NULL OR month < this OR month > (this + interval '12 months')::date THEN
        RAISE EXCEPTION 'make_month makes % to % only', this, (this + interval '12 months')::date;
    END IF;
    RETURN make_any_month(month);
END $$;
