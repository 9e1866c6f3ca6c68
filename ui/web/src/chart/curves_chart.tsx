/**
 * The curves of one metric of many trials in one plane, drawn as SVG: one path for each group, so
 * that thousands stay fast. With a pointer or with the arrow keys one curve at a time is named.
 */

import { type KeyboardEvent, type PointerEvent, useMemo, useState } from 'react'
import { formatNumber } from '../format'
import { Bubble, Grid, MARGIN, useWidth } from './frame'
import { closest, extent, linear, type Scale } from './scale'

/** One curve: its values at its steps, and how it is drawn. */
export interface ChartCurve {
  name: string
  steps: number[]
  values: number[]
  group: Group
}

export type Group = 'best' | 'running' | 'stopped' | 'other'

/** Later ones lie above. */
const GROUPS: [Group, string, string][] = [
  ['other', 'stroke-accent/35', 'ended'],
  ['stopped', 'stroke-warn/60', 'stopped early'],
  ['running', 'stroke-accent', 'running'],
  ['best', 'stroke-gold-mark', 'best'],
]

interface Props {
  title: string
  curves: ChartCurve[]
  xLabel: string
  yLabel: string
  height?: number
  onChoose: (name: string) => void
}

export function CurvesChart(props: Props) {
  const { curves, height = 280, onChoose } = props
  const [box, width] = useWidth()
  const [active, setActive] = useState<number | null>(null)

  const planes = useMemo(() => {
    const all = curves.flatMap((curve) => curve.values)
    const last = Math.max(1, ...curves.map((curve) => curve.steps.at(-1) ?? 0))
    const x = linear([0, last], [MARGIN.left, width - MARGIN.right])
    const y = linear(extent(all), [height - MARGIN.bottom, MARGIN.top])
    const drawn = GROUPS.map(([group, style, label]) => {
      const members = curves.filter((curve) => curve.group === group)
      return { style, label, path: members.map((curve) => curvePath(curve, x, y)).join('') }
    })
    return { x, y, drawn: drawn.filter((group) => group.path !== '') }
  }, [curves, width, height])
  const { x, y, drawn } = planes
  const current = active == null ? undefined : curves[active]

  const move = (event: PointerEvent<HTMLDivElement>) => {
    const place = event.currentTarget.getBoundingClientRect()
    const [at, from] = [event.clientX - place.left, event.clientY - place.top]
    setActive(closest(curves, x, y, at, from))
  }
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Escape') setActive(null)
    if (event.key === 'Enter' && current) onChoose(current.name)
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!step || curves.length === 0) return
    event.preventDefault()
    const from = active ?? (step > 0 ? -1 : curves.length)
    setActive(Math.min(curves.length - 1, Math.max(0, from + step)))
  }
  const label = current && `${current.name}: ${formatNumber(current.values.at(-1))}`

  return (
    <figure className="m-0">
      <div
        ref={box}
        role="slider"
        tabIndex={0}
        aria-label={`${props.title}; use the arrow keys to go through its curves, Enter to open one`}
        aria-valuemin={1}
        aria-valuemax={Math.max(1, curves.length)}
        aria-valuenow={(active ?? 0) + 1}
        aria-valuetext={label ?? `${curves.length} curves`}
        className={`relative touch-pan-y select-none ${current ? 'cursor-pointer' : ''}`}
        style={{ height }}
        onPointerMove={move}
        onPointerLeave={() => setActive(null)}
        onClick={() => current && onChoose(current.name)}
        onKeyDown={press}
        onBlur={() => setActive(null)}
      >
        <svg width={width} height={height} aria-hidden className="block">
          <Grid x={x} y={y} xLabel={props.xLabel} width={width} height={height} />
          {drawn.map(({ style, label, path }) => (
            <path
              key={label}
              d={path}
              fill="none"
              className={style}
              strokeWidth={label === 'best' ? 2 : 1.25}
              strokeLinejoin="round"
              strokeLinecap="round"
            />
          ))}
          {current && (
            <path
              d={curvePath(current, x, y)}
              fill="none"
              className="pointer-events-none stroke-ink"
              strokeWidth={2.5}
              strokeLinejoin="round"
              strokeLinecap="round"
            />
          )}
        </svg>
        {current && label && (
          <Bubble text={label} left={x.place(current.steps.at(-1) ?? 0)} width={width} />
        )}
      </div>
      <figcaption className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
        {drawn.map(({ style, label }) => (
          <span key={label} className="inline-flex items-center gap-1.5">
            <svg width="18" height="4" aria-hidden>
              <path d="M1 2H17" className={style} strokeWidth={2.5} strokeLinecap="round" />
            </svg>
            {label}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

/** A single value is a dot. */
function curvePath(curve: ChartCurve, x: Scale, y: Scale): string {
  const points = curve.values.map((value, index) => {
    const [at, height] = [x.place(curve.steps[index] ?? 0), y.place(value)]
    return `${index === 0 ? 'M' : 'L'}${at.toFixed(1)} ${height.toFixed(1)}`
  })
  return points.length === 1 ? `${points[0]}h0` : points.join('')
}
