{#-
  The rows of a stream as the loader left them, with the columns and types that are asked for.

  Loaders change names (usageDate, usagedate, usage_date, USAGEDATE) and types (dates as text,
  numbers as doubles), so columns are found by their letters and digits alone and are cast. A column
  that was not selected is null; a stream that was not selected has no rows. Rows that the loader has
  marked as deleted are left out, an empty string is null, and `exported_at` is always there.

  columns: name -> text, person (an identifier of a person: in small letters, and null where Autodesk
    masks it), number, date, timestamp or boolean.
  newest_of: a column. Of each of its values only the rows of the newest export are kept: loaders that
    only upsert keep rows that are gone at the source.
-#}
{%- macro loaded(stream, columns, newest_of=none) -%}
{%- set stream_source = source('autodesk', stream) -%}
{%- set relation = load_relation(stream_source) if execute else none -%}
{%- set found = {} -%}
{%- for column in (adapter.get_columns_in_relation(relation) if relation else []) -%}
  {%- do found.update({autodesk_exports.plain_name(column.name): column}) -%}
{%- endfor -%}
{%- if stream in var('incremental_streams') or autodesk_exports.plain_name(newest_of or '') not in found -%}
  {%- set newest_of = none -%}
{%- endif -%}
with stream as (
    select
        {%- for name, kind in columns.items() %}
        {{ autodesk_exports.typed(found.get(autodesk_exports.plain_name(name)), kind) }} as {{ name }},
        {%- endfor %}
        {{ autodesk_exports.typed(found.get('exportedat'), 'timestamp') }} as exported_at
    {%- if relation %}
    from {{ relation }}
      {%- if 'sdcdeletedat' in found %}
    where {{ adapter.quote(found['sdcdeletedat'].name) }} is null
      {%- endif %}
    {%- else %}
    from (select 1 as nothing) as nothing
    where 1 = 0
    {%- endif %}
)

{% if newest_of %}
, dated as (
    select stream.*, max(exported_at) over (partition by {{ newest_of }}) as newest_export
    from stream
)

select {{ columns.keys() | join(', ') }}, exported_at
from dated
where newest_export is null or exported_at = newest_export
{% else %}
select * from stream
{% endif %}
{%- endmacro -%}


{#- A name without what loaders change about it. -#}
{%- macro plain_name(name) -%}
{{- return(name | lower | replace('_', '')) -}}
{%- endmacro -%}


{#- A column, or null where there is none, as one of the kinds of `loaded`. -#}
{%- macro typed(column, kind) -%}
{%- set types = {
    'text': dbt.type_string(), 'person': dbt.type_string(), 'number': dbt.type_numeric(),
    'date': 'date', 'timestamp': dbt.type_timestamp(), 'boolean': dbt.type_boolean(),
} -%}
{%- if column is none -%}
cast(null as {{ types[kind] }})
{%- else -%}
  {%- set name = adapter.quote(column.name) -%}
  {%- set stored = column.dtype | lower -%}
  {%- set is_text = 'char' in stored or 'text' in stored or 'string' in stored -%}
  {%- set is_zoned = 'with time zone' in stored or stored in ['timestamptz', 'timestamp_tz'] -%}
  {%- if kind == 'text' -%}
nullif(cast({{ name }} as {{ types[kind] }}), '')
  {%- elif kind == 'person' -%}
nullif(nullif(lower(trim(cast({{ name }} as {{ types[kind] }}))), ''), '*****')
  {%- elif is_text and kind == 'date' -%}
cast(substr(nullif({{ name }}, ''), 1, 10) as date)
  {%- elif is_text and kind == 'timestamp' -%}
cast(replace(replace(replace(nullif({{ name }}, ''), 'T', ' '), 'Z', ''), ' UTC', '') as {{ types[kind] }})
  {%- elif is_text -%}
cast(nullif({{ name }}, '') as {{ types[kind] }})
  {%- elif is_zoned -%}
cast({{ name }} at time zone 'UTC' as {{ types[kind] }})
  {%- elif kind == 'boolean' and 'bool' not in stored -%}
({{ name }} <> 0)
  {%- else -%}
cast({{ name }} as {{ types[kind] }})
  {%- endif -%}
{%- endif -%}
{%- endmacro -%}


{#- When a stream was exported last; one that was not selected does not grow old. -#}
{%- macro newest_export(stream_source) -%}
{%- set relation = load_relation(stream_source) -%}
{%- set columns = adapter.get_columns_in_relation(relation) if relation else [] -%}
{%- set found = columns | selectattr('name', 'equalto', '_exported_at') | list -%}
{%- if found -%}
select max({{ autodesk_exports.typed(found[0], 'timestamp') }}) from {{ relation }}
{%- else -%}
select {{ dbt.current_timestamp() }}
{%- endif -%}
{%- endmacro -%}
