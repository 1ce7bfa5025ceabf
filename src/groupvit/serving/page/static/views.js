// Views of a result: regions of labels, or of the groups of a stage.
import { percent } from './elements.js';

// A view has a map, regions by the value in it, places of names, and for a region:
// related values, an inner map whose borders are drawn in it, and a sentence.
export function labelView(found, map) {
  const regions = new Map(found.labels.map((label, value) => [value, { ...label, value, isBackground: found.has_background && value === 0 }]));
  return {
    map, regions, names: found.names,
    related: () => [], inner: null,
    sentence: (region) => `${region.name}, ${percent(region.share)}`,
  };
}

const listed = (groups) => (groups.length > 1 ? `groups ${groups.slice(0, -1).join(', ')} and ${groups.at(-1)}` : `group ${groups[0]}`);

// stages have { stage, groups, names, map: decoded }; labels are those of all groups by number, or null.
export function groupView(stages, index, labels) {
  const [stage, last] = [stages[index], stages.at(-1)];
  const nameOf = (group) => (labels ? `group ${group}: ${labels[group]}` : `group ${group}`);
  const regions = new Map(stage.groups.map((one) => [one.group, { ...one, value: one.group, name: nameOf(one.group) }]));
  const siblings = (region) => stage.groups
    .filter((one) => one.merged_into === region.merged_into && one.group !== region.group).map((one) => one.group);
  const first = stage !== last || index === 0 ? null : stages[0];
  const merged = (region) => first.groups.filter((one) => one.merged_into === region.group).map((one) => one.group);

  function relation(region) {
    if (stage !== last) {
      const others = siblings(region);
      const alone = others.length ? `merged with ${listed(others)} into` : 'alone in';
      return `, ${alone} group ${region.merged_into} of stage ${last.stage}`;
    }
    if (!first) return '';
    const parts = merged(region);
    return parts.length ? `, merged from ${listed(parts)} of stage 1` : '';
  }

  return {
    map: stage.map, regions, names: stage.names.map((place) => ({ ...place, text: String(place.value) })),
    stage: stage.stage,
    related: (region) => (stage === last ? [] : siblings(region)),
    inner: first?.map ?? null,
    sentence: (region) => `${region.name}, ${percent(region.share)}${relation(region)}`,
  };
}
