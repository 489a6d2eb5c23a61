-- Django's own tables are operational: backed up, not rebuilt. Only the application uses them.
GRANT SELECT, INSERT, UPDATE, DELETE ON
    auth_user, auth_group, auth_user_groups, auth_user_user_permissions, auth_group_permissions, django_session
    TO {app};
GRANT SELECT, INSERT ON django_admin_log TO {app};
GRANT SELECT ON auth_permission, django_content_type TO {app};
GRANT SELECT ON django_migrations TO {app}, {gate}, {readonly};
