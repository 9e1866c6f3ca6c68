/**
 * A chart of points and a line over one axis, drawn as SVG. With a pointer or with the arrow keys
 * one point at a time is named; the same numbers are in a table below.
 */

import { type KeyboardEvent, type PointerEvent, useId, useState } from 'react'
import { formatNumber } from '../format'
import { Bubble, Grid, MARGIN, useWidth } from './frame'
import { extent, linear, nearest } from './scale'

/** One point: where it stands, what it is called, and the height of the line there. */
export interface ChartPoint {
  x: number
  value: number
  line: number
  label: string
  marked?: boolean
}

interface Props {
  title: string
  points: ChartPoint[]
  xLabel: string
  yLabel: string
  /** Draws the line in steps, and each point beside it. */
  steps?: boolean
  goal?: number | null
  height?: number
}

const ROWS_IN_TABLE = 200

export function LineChart(props: Props) {
  const { points, height = 280, goal, steps } = props
  const [box, width] = useWidth()
  const [active, setActive] = useState<number | null>(null)
  const id = useId()

  const values = points.map((point) => point.value)
  const low = points[0]?.x ?? 0
  const high = points.at(-1)?.x ?? 1
  const x = linear(low === high ? [low - 1, high + 1] : [low, high], [
    MARGIN.left,
    width - MARGIN.right,
  ])
  const y = linear(extent(goal == null ? values : [...values, goal]), [
    height - MARGIN.bottom,
    MARGIN.top,
  ])
  const places = points.map((point) => x.place(point.x))
  const current = active == null ? undefined : points[active]

  const move = (event: PointerEvent<HTMLDivElement>) => {
    const left = event.currentTarget.getBoundingClientRect().left
    if (points.length > 0) setActive(nearest(places, event.clientX - left))
  }
  const press = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (event.key === 'Escape') setActive(null)
    if (!step || points.length === 0) return
    event.preventDefault()
    const from = active ?? (step > 0 ? -1 : points.length)
    setActive(Math.min(points.length - 1, Math.max(0, from + step)))
  }

  return (
    <figure className="m-0">
      <div
        ref={box}
        role="slider"
        tabIndex={0}
        aria-label={`${props.title}; use the arrow keys to go through its points`}
        aria-valuemin={1}
        aria-valuemax={Math.max(1, points.length)}
        aria-valuenow={(active ?? 0) + 1}
        aria-valuetext={current ? current.label : `${points.length} points`}
        aria-describedby={id}
        className="relative touch-pan-y select-none"
        style={{ height }}
        onPointerMove={move}
        onPointerLeave={() => setActive(null)}
        onKeyDown={press}
        onBlur={() => setActive(null)}
      >
        <svg width={width} height={height} aria-hidden className="block">
          <Grid x={x} y={y} xLabel={props.xLabel} width={width} height={height} />
          {goal != null && <Goal goal={goal} y={y.place(goal)} width={width} />}
          <path
            d={linePath(points, places, y.place, steps)}
            fill="none"
            className="stroke-accent"
            strokeWidth={2}
            strokeLinejoin="round"
          />
          {steps && <Dots points={points} places={places} place={y.place} />}
          {current && active != null && (
            <g className="pointer-events-none">
              <line
                x1={places[active]}
                x2={places[active]}
                y1={MARGIN.top}
                y2={height - MARGIN.bottom}
                className="stroke-muted"
                strokeDasharray="2 3"
              />
              <circle
                cx={places[active]}
                cy={y.place(current.value)}
                r={5}
                className="fill-accent stroke-card"
                strokeWidth={2}
              />
            </g>
          )}
        </svg>
        {current && active != null && (
          <Bubble text={current.label} left={places[active] ?? 0} width={width} />
        )}
      </div>
      <PointTable {...props} id={id} />
    </figure>
  )
}

function Goal({ goal, y, width }: { goal: number; y: number; width: number }) {
  return (
    <g>
      <line
        x1={MARGIN.left}
        x2={width - MARGIN.right}
        y1={y}
        y2={y}
        className="stroke-ok"
        strokeDasharray="6 4"
      />
      <text x={MARGIN.left + 6} y={y - 5} className="fill-ok text-[11px] font-medium">
        goal {formatNumber(goal)}
      </text>
    </g>
  )
}

function linePath(
  points: ChartPoint[],
  places: number[],
  place: (value: number) => number,
  steps = false,
): string {
  return points
    .map((point, index) => {
      const [at, height] = [(places[index] ?? 0).toFixed(1), place(point.line).toFixed(1)]
      if (index === 0) return `M${at} ${height}`
      return steps ? `H${at}V${height}` : `L${at} ${height}`
    })
    .join('')
}

/** Thousands of points stay fast as one path of zero-length strokes with round ends. */
function Dots(props: { points: ChartPoint[]; places: number[]; place: (value: number) => number }) {
  const { points, places, place } = props
  const height = (point: ChartPoint) => place(point.value).toFixed(1)
  const path = points.map((point, index) => `M${places[index]?.toFixed(1)} ${height(point)}h0`)
  const marked = points.findIndex((point) => point.marked)
  const best = points[marked]
  return (
    <g>
      <path
        d={path.join('')}
        className="stroke-accent/50"
        strokeWidth={points.length > 500 ? 4 : 6}
        strokeLinecap="round"
      />
      {best && (
        <circle
          cx={places[marked]}
          cy={height(best)}
          r={5}
          className="fill-gold-mark stroke-card"
          strokeWidth={1.5}
        />
      )}
    </g>
  )
}

function PointTable(props: Props & { id: string }) {
  const [isOpen, setOpen] = useState(false)
  const shown = isOpen ? props.points.slice(-ROWS_IN_TABLE) : []
  return (
    <details className="mt-2 text-sm" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary id={props.id} className="w-fit text-xs text-muted hover:text-ink">
        As a table ({props.points.length} points)
      </summary>
      <div className="mt-2 max-h-64 overflow-auto rounded-lg border border-line">
        <table className="table number">
          <caption className="sr-only">{props.title}</caption>
          <thead>
            <tr>
              <th scope="col">{props.xLabel}</th>
              <th scope="col">{props.yLabel}</th>
              {props.steps && <th scope="col">best so far</th>}
            </tr>
          </thead>
          <tbody>
            {shown.map((point) => (
              <tr key={point.x}>
                <td>{point.x}</td>
                <td>{formatNumber(point.value)}</td>
                {props.steps && <td>{formatNumber(point.line)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
