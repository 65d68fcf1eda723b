const PLACEHOLDER = /@([A-Z][A-Z_]*)@/g;

/**
 * Fills in the `@NAME@`s of a configuration file.
 * @throws {Error} on a name that has no value: a configuration with a hole in it would fail less clearly.
 */
export function fillIn(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(PLACEHOLDER, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) {
      throw new Error(`nothing to put in place of ${placeholder}`);
    }
    return value;
  });
}
